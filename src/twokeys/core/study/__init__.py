"""Parameter studies: what is run (study), how (runner), and what it says (analysis). See lab.py."""
