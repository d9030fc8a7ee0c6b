"""How the study is run: the four stages as notebooks, the command line, and whether results fit their code."""
