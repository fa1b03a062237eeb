"""The demonstration's texts: `text/gospels.txt` (Matthew and Mark, to train on) and `text/revelation.txt` (to validate with)."""

import pathlib

import scripture

TEXT = pathlib.Path(__file__).resolve().parent.parent / "text"


def main() -> None:
    TEXT.mkdir(exist_ok=True)
    for name, span in {"gospels.txt": "mat1:1-mark16:20", "revelation.txt": scripture.REVELATION}.items():
        (TEXT / name).write_text(scripture.text(span))
        print(f"{name}: {(TEXT / name).stat().st_size} bytes")


if __name__ == "__main__":
    main()
