"""The cloth solver's Warp kernels: small-step XPBD with unit inverse mass. The same source runs on CPU and CUDA."""

import warp as wp

from ncpifu_cli.synth.warp_runtime import start_warp

start_warp()
wp.set_module_options({"enable_backward": False})

NEIGHBOURS = 8  # self-contact partners kept per vertex
QUERY_MARGIN = wp.constant(1.6)  # self-contact candidates are collected this much wider than they repel
REST_MARGIN = wp.constant(1.8)  # vertices this close at rest never repel each other
SELF_SHARE = wp.constant(0.35)  # Jacobi relaxation of self-contact


@wp.kernel
def integrate(x: wp.array(dtype=wp.vec3), previous: wp.array(dtype=wp.vec3), velocity: wp.array(dtype=wp.vec3), gravity: wp.vec3, dt: float):
    """Explicit step: v += g dt, x += v dt."""
    i = wp.tid()
    previous[i] = x[i]
    velocity[i] = velocity[i] + gravity * dt
    x[i] = x[i] + velocity[i] * dt


@wp.kernel
def project_distances(
    x: wp.array(dtype=wp.vec3), pairs: wp.array(dtype=wp.vec2i), rest: wp.array(dtype=float), compliance: wp.array(dtype=float), offset: int, inverse_dt2: float
):
    """XPBD distance constraints of one batch; pairs of a batch share no vertex (or the batch runs in order, on the CPU)."""
    k = wp.tid() + offset
    i = pairs[k][0]
    j = pairs[k][1]
    d = x[i] - x[j]
    length = wp.length(d)
    if length > 1.0e-9:
        correction = d * ((length - rest[k]) / (2.0 + compliance[k] * inverse_dt2) / length)
        x[i] = x[i] - correction
        x[j] = x[j] + correction


@wp.kernel
def find_contacts(
    mesh: wp.uint64, x: wp.array(dtype=wp.vec3), face: wp.array(dtype=int), bary_u: wp.array(dtype=float), bary_v: wp.array(dtype=float), reach: float
):
    """The collider's nearest point for each vertex, as a face and barycentric coordinates; face -1 beyond `reach`."""
    i = wp.tid()
    query = wp.mesh_query_point_no_sign(mesh, x[i], reach)
    if query.result:
        face[i] = query.face
        bary_u[i] = query.u
        bary_v[i] = query.v
    else:
        face[i] = -1


@wp.kernel
def resolve_contacts(
    x: wp.array(dtype=wp.vec3),
    previous: wp.array(dtype=wp.vec3),
    face: wp.array(dtype=int),
    bary_u: wp.array(dtype=float),
    bary_v: wp.array(dtype=float),
    triangles: wp.array(dtype=wp.vec3i),
    start: wp.array(dtype=wp.vec3),
    end: wp.array(dtype=wp.vec3),
    normals: wp.array(dtype=wp.vec3),
    t: float,
    t_before: float,
    thickness: float,
    friction: float,
    reach: float,
    largest_push: float,
):
    """Keep vertices `thickness` above the contact point's tangent plane; the point moves from `start` to `end` with the collider."""
    i = wp.tid()
    f = face[i]
    if f >= 0:
        u = bary_u[i]
        v = bary_v[i]
        w = 1.0 - u - v
        corner = triangles[f]
        p0 = start[corner[0]] * u + start[corner[1]] * v + start[corner[2]] * w
        p1 = end[corner[0]] * u + end[corner[1]] * v + end[corner[2]] * w
        point = p0 * (1.0 - t) + p1 * t
        point_before = p0 * (1.0 - t_before) + p1 * t_before
        normal = wp.normalize(normals[corner[0]] * u + normals[corner[1]] * v + normals[corner[2]] * w)
        gap = wp.dot(x[i] - point, normal) - thickness
        if gap < 0.0 and wp.length(x[i] - point) < reach:
            x[i] = x[i] - normal * wp.max(gap, -largest_push)
            slide = (x[i] - previous[i]) - (point - point_before)
            slide = slide - normal * wp.dot(slide, normal)
            length = wp.length(slide)
            if length > 1.0e-9:
                x[i] = x[i] - slide * wp.min(friction * (-gap) / length, 1.0)


@wp.kernel
def stay_above(x: wp.array(dtype=wp.vec3), previous: wp.array(dtype=wp.vec3), ground: float, friction: float):
    """Keep vertices above the level ground."""
    i = wp.tid()
    below = ground - x[i][2]
    if below > 0.0:
        slide = x[i] - previous[i]
        slide = wp.vec3(slide[0], slide[1], 0.0)
        length = wp.length(slide)
        x[i] = x[i] + wp.vec3(0.0, 0.0, below)
        if length > 1.0e-9:
            x[i] = x[i] - slide * wp.min(friction * below / length, 1.0)


@wp.kernel
def update_velocity(
    x: wp.array(dtype=wp.vec3), previous: wp.array(dtype=wp.vec3), velocity: wp.array(dtype=wp.vec3), inverse_dt: float, damping: float, fastest: float
):
    """v = damping (x - previous) / dt, no faster than `fastest`."""
    i = wp.tid()
    v = (x[i] - previous[i]) * inverse_dt * damping
    speed = wp.length(v)
    if speed > fastest:
        v = v * (fastest / speed)
    velocity[i] = v


@wp.kernel
def pull_pins(
    x: wp.array(dtype=wp.vec3),
    pinned: wp.array(dtype=int),
    start: wp.array(dtype=wp.vec3),
    end: wp.array(dtype=wp.vec3),
    t: float,
    strength: wp.array(dtype=float),
):
    """Draw pinned vertices a share `strength` of the way to their moving targets."""
    k = wp.tid()
    i = pinned[k]
    target = start[k] * (1.0 - t) + end[k] * t
    x[i] = x[i] + (target - x[i]) * strength[k]


@wp.kernel
def find_neighbours(grid: wp.uint64, x: wp.array(dtype=wp.vec3), rest: wp.array(dtype=wp.vec3), neighbours: wp.array2d(dtype=int), radius: float):
    """Up to eight vertices near in space but not near at rest."""
    i = wp.tid()
    query = wp.hash_grid_query(grid, x[i], radius * QUERY_MARGIN)
    j = int(0)  # noqa: UP018, RUF046  (a dynamic variable to Warp)
    found = int(0)  # noqa: UP018, RUF046
    while wp.hash_grid_query_next(query, j):
        if j != i and found < 8 and wp.length(x[i] - x[j]) < radius * QUERY_MARGIN and wp.length(rest[i] - rest[j]) > radius * REST_MARGIN:
            neighbours[i, found] = j
            found = found + 1
    while found < 8:
        neighbours[i, found] = -1
        found = found + 1


@wp.kernel
def repel_self(x: wp.array(dtype=wp.vec3), shift: wp.array(dtype=wp.vec3), neighbours: wp.array2d(dtype=int), radius: float):
    """Jacobi repulsion between neighbouring vertices, gathered into `shift`."""
    i = wp.tid()
    total = wp.vec3(0.0, 0.0, 0.0)
    if neighbours[i, 0] >= 0:
        for k in range(8):
            j = neighbours[i, k]
            if j >= 0:
                d = x[i] - x[j]
                length = wp.length(d)
                if length < radius and length > 1.0e-9:
                    total = total + d * (SELF_SHARE * (radius - length) / length)
    shift[i] = total


@wp.kernel
def add_shift(x: wp.array(dtype=wp.vec3), shift: wp.array(dtype=wp.vec3)):
    """x += shift."""
    i = wp.tid()
    x[i] = x[i] + shift[i]
