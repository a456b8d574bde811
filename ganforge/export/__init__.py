"""A trained generator for use elsewhere: ONNX, a page in the browser, a folder to publish."""
