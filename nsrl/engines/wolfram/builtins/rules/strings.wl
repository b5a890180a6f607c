(* Strings *)
StringTakeDrop[s_String, n_] := {StringTake[s, n], StringDrop[s, n]}
PrintableASCIIQ[s_String] := AllTrue[ToCharacterCode[s], 32 <= # <= 126 &]
