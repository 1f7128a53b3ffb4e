"""`python -m twokeys` is the same as the console command `twokeys`."""

from twokeys.cli import main

if __name__ == "__main__":
    main()
