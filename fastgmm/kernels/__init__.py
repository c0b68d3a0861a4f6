"""All compiled code: kernels, the types of their arguments, and the sizes they depend on."""
