"""The Python API: what `import ganforge` offers, and what the commands are a thin layer over."""

import warnings

# Of tqdm.auto, which Accelerate imports, in a notebook without ipywidgets: the bars here need none.
warnings.filterwarnings("ignore", message="IProgress not found")
