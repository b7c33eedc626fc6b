#version 330 core
// In place of pyrender's flat.vert, which multiplies four matrices and inverts one for every vertex.

layout(location = 0) in vec3 position;
#ifdef TEXCOORD_0_LOC
layout(location = TEXCOORD_0_LOC) in vec2 texcoord_0;
out vec2 uv_0;
#endif
layout(location = COLOR_0_LOC) in vec4 color_0;
out vec4 color_multiplier;

uniform mat4 M;
uniform mat4 V;
uniform mat4 P;

void main()
{
    gl_Position = P * (V * (M * vec4(position, 1.0)));
#ifdef TEXCOORD_0_LOC
    uv_0 = texcoord_0;
#endif
    color_multiplier = color_0;
}
