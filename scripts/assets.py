"""What the scripts that build a file of the package share: their command line."""

import argparse
import hashlib


def main(build, asset, *, about, folder):
    """Run ``build(folder, out)`` with what the command line says, and tell what was written."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("folder", help=folder)
    parser.add_argument("--out", default=asset, help="the file to write (default: the package's asset)")
    arguments = parser.parse_args()
    path = build(arguments.folder, arguments.out)
    print(f"{path}: {path.stat().st_size:,} bytes, SHA-256 {hashlib.sha256(path.read_bytes()).hexdigest()}")
