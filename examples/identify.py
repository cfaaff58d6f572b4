"""Enrol a folder of people, then say who is in a photo.

python examples/identify.py PEOPLE PHOTO [--gallery GALLERY]

PEOPLE has one sub-folder per person. A second run enrols nothing twice.
"""

import argparse

import twindex


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("people")
    parser.add_argument("photo")
    parser.add_argument("--gallery", default="example-gallery")
    options = parser.parse_args()
    with twindex.open(options.gallery) as gallery:
        report = gallery.enroll(options.people)
        print(f"{report.enrolled} photos enrolled, {report.skipped} known before, {report.failed} failed")
        answer = gallery.identify(options.photo, all_faces=True)
    if answer.error is not None:
        print(answer.error)
    for number, face in enumerate(answer.faces, 1):
        nearest = face.candidates[0]
        print(
            f"face {number}: {face.subject or 'unknown'} (nearest: {nearest.subject}, distance {nearest.distance:.2f})"
        )


if __name__ == "__main__":
    main()
