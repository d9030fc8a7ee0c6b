"""Optional trainers and a decoder that compute the same with less work; a profile names them under `engines`.

Each module says which work it saves and why the result stays the same, and has switches in `switches.Speed`. The tests
compare each with TRL and transformers; `benchmarks/speed.py` measures each switch alone and left out.
"""
