"""The same numbers sooner: what the trainers and the decoder compute more than once, computed once.

Section 3 of the paper says what is computed, and this package changes nothing of it. Each module
removes one kind of repeated work, opens with the reason why the result stays the same, and has one
switch in `switches.Speed`. The tests hold each against TRL and transformers as they come;
`benchmarks/speed.py` measures each against them.
"""
