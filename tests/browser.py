"""A page in headless Chromium that has no network: what it draws, complains about and asks for."""

import json
import shutil
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.support.wait import WebDriverWait

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")

# Canvases of a phone have more pixels than CSS says; grey is for axes and words, so colour is data.
MARKS = """
return [...document.querySelectorAll("canvas")].map((canvas) => {
  const bytes = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let coloured = 0;
  for (let i = 0; i < bytes.length; i += 4) {
    const pixel = bytes.slice(i, i + 3);
    coloured += bytes[i + 3] > 0 && Math.max(...pixel) - Math.min(...pixel) > 40;
  }
  return coloured;
});
"""


@contextmanager
def started(
    folder: Path, width: int, height: int = 900, flags: tuple[str, ...] = ("host-resolver-rules=MAP * ~NOTFOUND",)
):
    """A driver with a window of so many CSS pixels, by default without a network. folder: for its profile."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (
        "headless=new",
        "no-sandbox",
        "disable-gpu",
        "disable-dev-shm-usage",
        "disable-background-networking",
        "no-first-run",
        "hide-scrollbars",
        *flags,
        f"user-data-dir={folder / 'profile'}",
    ):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    try:
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        yield driver
    finally:
        driver.quit()


@contextmanager
def opened(page: Path, folder: Path, width: int, height: int = 900):
    """As `started`, with the page, all charts drawn."""
    with started(folder, width, height) as driver:
        driver.get(page.as_uri())
        WebDriverWait(driver, 60).until(lambda d: d.execute_script("return document.body.dataset.drawn"))
        yield driver


def requests(driver) -> set[str]:
    """The addresses that the page has asked for (the browser asks for some of its own)."""
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    asked = [m["params"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    return {params["request"]["url"] for params in asked if params["documentURL"] == driver.current_url}
