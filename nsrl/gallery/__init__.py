"""The gallery: which published methods matter on the small model, each row a file and a number that a command repeats.

A row (`row`) names arms that begin with one warm start; `plan` makes its runs, `results` is the protocol, `finished`
what a row came to by it, `page` and `picture` what is read.
"""
