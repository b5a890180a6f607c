"""The ops in the place of other trainers' own: TRL, verl, Liger. One module for each, one line to use it.

Nothing else of `nsrl_kernels` imports these, and each needs the package whose place it takes only when it is imported
(Liger's needs none). How to use each, and where its numbers differ: docs/trainers.md.
"""
