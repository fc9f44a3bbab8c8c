"""A real Chromium without a window, spoken to by the DevTools protocol over two pipes."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
_FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--mute-audio")
"""Without its sandbox: it loads our own pages, and a container's root may have none."""
_COMMANDS, _ANSWERS = 3, 4
"""Numbers of the pipes, as Chromium wants them."""


class Tab:
    """One page."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands = commands
        self._answers = answers
        self._rest = b""
        self._number = 0
        self._session: str | None = None
        self.errors: list[str] = []
        """What went wrong in the page: exceptions, loads, and what its own policy refused."""

    def open(self, address: str, *, width: int = 1200, height: int = 900, is_dark: bool = False) -> None:
        """Load a page and wait until it says that it is ready."""
        if self._session is None:
            target = self.send("Target.createTarget", url="about:blank")["targetId"]
            self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network"):
                self.send(f"{domain}.enable")
        self.look(width=width, height=height, is_dark=is_dark)
        self.errors.clear()
        self.send("Page.navigate", url="about:blank")
        self.send("Page.navigate", url=address)
        self.wait("document.readyState === 'complete' && 'ready' in document.documentElement.dataset")

    def look(self, *, width: int, height: int, is_dark: bool = False) -> None:
        """Change the window and the colours that the reader prefers."""
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])

    def wait(self, condition: str) -> None:
        """Until an expression holds; the page itself looks at every frame."""
        look = f"const look = () => ({condition}) ? done(true) : requestAnimationFrame(look)"
        self.value(f"new Promise((done) => {{ {look}; look(); }})")

    def value(self, expression: str) -> object:
        """What an expression gives, a promise's result too."""
        answer = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(json.dumps(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def text(self, selector: str) -> str:
        """What a person sees of an element; "" if there is none, or it is hidden."""
        element = f"document.querySelector({json.dumps(selector)})"
        return str(
            self.value(f"({element}?.checkVisibility() ? {element}.innerText : '').replace(/\\s+/g, ' ').trim()")
        )

    def press(self, *keys: str) -> None:
        """Keys, one after another."""
        for key in keys:
            text = {"text": key} if len(key) == 1 else {}
            self.send("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
            self.send("Input.dispatchKeyEvent", type="keyUp", key=key)
        self.settle()

    def click(self, x: float, y: float) -> None:
        """The left button, at a point of the window."""
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
        self.settle()

    def hover(self, x: float, y: float) -> None:
        """The pointer, to a point of the window."""
        self.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        self.settle()

    def drag(self, x: float, y: float, *, by: float) -> None:
        """From a point of the window sideways, in a few moves."""
        self.send("Input.dispatchMouseEvent", type="mousePressed", x=x, y=y, button="left", clickCount=1)
        for part in range(1, 5):
            self.send("Input.dispatchMouseEvent", type="mouseMoved", x=x + by * part / 4, y=y, button="left")
        self.send("Input.dispatchMouseEvent", type="mouseReleased", x=x + by, y=y, button="left", clickCount=1)
        self.settle()

    def settle(self) -> None:
        """Until what is due is drawn."""
        self.value("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")

    def picture(self, path: Path, *, is_whole: bool = True) -> None:
        """A screenshot, of the whole page."""
        self.settle()
        answer = self.send("Page.captureScreenshot", captureBeyondViewport=is_whole)
        path.write_bytes(base64.b64decode(answer["data"]))

    def pdf(self) -> bytes:
        """The page as it is printed."""
        return base64.b64decode(self.send("Page.printToPDF", printBackground=True)["data"])

    def send(self, method: str, **parameters: object) -> dict:
        """One command and its answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = json.loads(self._next())
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self._note(answer)

    def _note(self, event: dict) -> None:
        if event.get("method") == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(event["params"]["exceptionDetails"]))
        if event.get("method") == "Log.entryAdded" and event["params"]["entry"]["level"] == "error":
            self.errors.append(event["params"]["entry"]["text"])
        if event.get("method") == "Network.requestWillBeSent":
            address = event["params"]["request"]["url"]
            if not address.startswith(("file:", "data:", "about:")):
                self.errors.append(f"asked for {address}")

    def _next(self) -> bytes:
        while b"\0" not in self._rest:
            more = os.read(self._answers, 1 << 16)
            if not more:
                raise RuntimeError("the browser has gone")
            self._rest += more
        message, self._rest = self._rest.split(b"\0", 1)
        return message


@contextmanager
def browser(profile: Path) -> Iterator[Tab]:
    """A browser with one tab, ended on leaving.

    Args:
        profile: An empty folder of its own.
    """
    commands, to_browser = os.pipe()
    from_browser, answers = os.pipe()
    # A shell gives the pipes their numbers: `pass_fds` keeps those that they have here.
    program = f'exec "$0" "$@" {_COMMANDS}<&{commands} {_ANSWERS}>&{answers}'
    arguments = [*_FLAGS, f"--user-data-dir={profile}", "--remote-debugging-pipe"]
    process = subprocess.Popen(
        ["/bin/bash", "-c", program, str(CHROMIUM), *arguments],
        pass_fds=(commands, answers),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(commands)
    os.close(answers)
    try:
        yield Tab(to_browser, from_browser)
    finally:
        process.kill()
        process.wait()
        os.close(to_browser)
        os.close(from_browser)
