"""Clothes: the wardrobe as data (catalogue), what the numbers mean (spec), cutting (build, skirt), what is worn together (outfit), sewing details
and colours (finish, details, rims, collars)."""
