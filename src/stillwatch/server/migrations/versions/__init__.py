"""Steps of the schema, in order: r0001, r0002, and so on."""
