"""Procedural clothed humans: dressed, posed, simulated and coloured, made from a seed (design: synthetic humans).

The rooms, in the order a human passes them:

    streams   one independent random stream per stage         body      the naked body (the only importer of anny)
    poses     directions and two-bone IK -> joint rotations   garments  templates as data -> pattern pieces around the rest body
    shoes     a closed shell around the foot                  cloth     the Warp XPBD solver; drape  how outfits are laid on a moving body
    looks     skin, eyes, fabrics                             hair      caps and strands fused into one scan-like volume
    assemble  parts -> one mesh, decimated, Draco-coded       gates     what makes a human unfit to train on
    human     seed -> Human: the only place that knows them all
    heads     seed -> a head on shoulders, without cloth: what the network of heads learns from

Frame inside this package: z up, facing -y, metres (the body model's own); `assemble` turns the result to y up, facing +z, feet at 0.
"""
