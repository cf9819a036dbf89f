"""Data that the package needs: calibration tables, each with its source in its first lines.

``vignetting_xrt3_xareaef_0012.csv`` is the mirror vignetting of XMM-Newton; ``epic_exposure_model.json`` holds what
``benchmarks/fit_exposure_model.py`` measured: the shadow of the grating arrays and the edge of the field of view.
"""
