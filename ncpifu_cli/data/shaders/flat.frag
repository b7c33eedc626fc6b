#version 330 core
// In place of pyrender's flat.frag: the texture, where there is one, times the light that came with the vertices.

struct Material {
    vec4 base_color_factor;
#ifdef HAS_BASE_COLOR_TEX
    sampler2D base_color_texture;
#endif
};

uniform Material material;
#ifdef TEXCOORD_0_LOC
in vec2 uv_0;
#endif
in vec4 color_multiplier;
out vec4 frag_color;

void main()
{
    vec4 color = material.base_color_factor * color_multiplier;
#ifdef HAS_BASE_COLOR_TEX
    color *= texture(material.base_color_texture, uv_0);
#endif
    frag_color = clamp(color, 0.0, 1.0);
}
