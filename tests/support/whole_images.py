"""An image file of each kind, whole."""

from __future__ import annotations

import numpy as np
from PIL import Image

from support.encoded import GREY, RGB, encoded, raw_png

SIDE = 6
GRADIENT = Image.fromarray(np.arange(SIDE * SIDE * 3, dtype=np.uint8).reshape(SIDE, SIDE, 3))
ALPHA = Image.merge("RGBA", (*GRADIENT.split(), Image.linear_gradient("L").resize((SIDE, SIDE))))
RED, BLUE = Image.new("RGB", (SIDE, SIDE), (200, 10, 20)), Image.new("RGB", (SIDE, SIDE), (10, 20, 200))
WHOLE = {
    "png": encoded(GRADIENT),
    "alpha png": encoded(ALPHA),
    "palette png": encoded(GRADIENT.quantize(8), transparency=0),
    "1-bit png": encoded(GRADIENT.convert("1")),
    "grey and alpha png": encoded(ALPHA.convert("LA")),
    "interlaced": raw_png(1, 1, RGB, 8, b"\0\1\2\3"),
    "apng": encoded(RED, save_all=True, append_images=[BLUE]),
    "jpeg": encoded(GRADIENT, "JPEG"),
    "cmyk jpeg": encoded(GRADIENT.convert("CMYK"), "JPEG"),
    "webp": encoded(GRADIENT, "WEBP", lossless=True),
    "animated webp": encoded(RED, "WEBP", lossless=True, save_all=True, append_images=[BLUE]),
    "bmp": encoded(GRADIENT, "BMP"),
    "rle bmp": encoded(GRADIENT.quantize(4), "BMP"),
    "16-bit png": raw_png(2, 1, GREY, 16, b"\0\x12\x34\xff\xff"),
    "gif": encoded(GRADIENT, "GIF"),
    "gradient tiff": encoded(GRADIENT, "TIFF"),
    "float tiff": encoded(Image.fromarray(np.zeros((2, 2), np.float32)), "TIFF"),
}
