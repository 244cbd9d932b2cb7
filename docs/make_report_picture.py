"""Takes docs/images/report.png from the page that `make demo` leaves: `python docs/make_report_picture.py`.

Needs the Python package playwright and a chromium. The picture has two views of one page: its first screen, and its
gallery.
"""

import io
import shutil
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
WIDTH, HEIGHT = 860, 900
COLOURS = 256  # of the picture, which keeps the file small


def main() -> None:
    """Open the page, look at it twice, and write both views into one picture."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto((ROOT / ".cropdet" / "report" / "index.html").as_uri())
        views = []
        for place in ("body", ".gallery"):
            page.locator(place).first.evaluate("each => each.scrollIntoView({behavior: 'instant'})")
            views.append(Image.open(io.BytesIO(page.screenshot())).convert("RGB"))
        browser.close()
    picture = Image.new("RGB", (2 * WIDTH + 2, HEIGHT), (190, 190, 190))
    for place, view in enumerate(views):
        picture.paste(view, (place * (WIDTH + 2), 0))
    target = Path(__file__).with_name("images") / "report.png"
    picture.quantize(COLOURS, Image.Quantize.MAXCOVERAGE).save(target, optimize=True)


if __name__ == "__main__":
    main()
