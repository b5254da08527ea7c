"""python -m facewright"""

from facewright.cli import main

if __name__ == "__main__":
    main()
