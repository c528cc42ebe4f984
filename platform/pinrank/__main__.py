"""`python -m pinrank` is the command `pinrank`."""

from pinrank.cli.app import main

if __name__ == "__main__":
    main()
