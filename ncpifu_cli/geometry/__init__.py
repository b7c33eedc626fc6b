"""Frames and units, everywhere the same (design: method section 1).

World: metres, right-handed, y up. At yaw 0 the subject faces +z, towards the camera; `view(yaw)` rotates the *subject* by R_y(yaw).
Normalised subject: 1.80 m tall, x and z centred on the median vertex, y on the middle of the bounding box.
Camera: orthographic; the square image spans x, y in [-1.024, 1.024] m, so `ndc = xyz_m / 1.024`. NDC y is up, z towards the camera.
Pixels: row 0 is the top, pixel centres at half-integers: `u_px = (x_ndc + 1) * W / 2`, `v_px = (1 - y_ndc) * W / 2`, pixel (i, j) samples
(j + 0.5, i + 0.5); this is `grid_sample(align_corners=False)` at (x_ndc, -y_ndc).
Suffixes: `_m` metres, `_cm`, `_deg`, `_ndc`, `_px`. Distances are reported in centimetres of the 1.80 m subject.

This package holds pure functions: no network modules, no files.
"""
