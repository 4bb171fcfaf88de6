#pragma once

// How each operator of the table is drawn, and patterns of several nodes that models are made of.

#include "tests/graph_fuzz/sketch.h"

namespace ft::fuzz {

struct Generator {
  const char* op;
  // Adds one or a few nodes. False when nothing there fits: another one is drawn.
  bool (*draw)(Sketch& sketch);
};

// Null when there is none.
const Generator* find_generator(std::string_view op);

std::span<const Generator> elementwise_generators();
std::span<const Generator> map_generators();
std::span<const Generator> matrix_generators();
std::span<const Generator> shape_generators();

// Adds one pattern, say x + f(relu(x)).
void draw_pattern(Sketch& sketch);

// A whole graph: a pure function of the seed.
Graph draw_graph(uint64_t seed);

}  // namespace ft::fuzz
