#include "runtime/data/npy.h"

#include <cmath>
#include <doctest/doctest.h>
#include <limits>

#include "runtime/data/dataset.h"
#include "tests/base/temp_dir.h"
#include "tests/data/files.h"

namespace ft {
namespace {

std::string refusal(const TempDir& dir, const std::string& bytes) {
  const auto array = read_npy(dir.write("bad.npy", bytes));
  CHECK_FALSE(array.ok());
  CHECK(array.status().code() == StatusCode::kInvalid);
  CHECK(array.status().message().starts_with(dir.file("bad.npy")));
  return array.status().message();
}

bool contains(const std::string& text, const std::string& part) {
  INFO(text);
  return text.find(part) != std::string::npos;
}

std::string open_message(const std::string& spec, TargetKind targets = TargetKind::kLabels) {
  const auto dataset = open_dataset(spec, 0, targets);
  return dataset.ok() ? "ok" : dataset.status().message();
}

}  // namespace

TEST_CASE("npy: every type, both versions, any alignment of the body") {
  const TempDir dir;
  const auto first_of_row_1 = [&](const std::string& descr, const std::string& body, char major) {
    for (const char* padding : {"", " ", "       "}) {
      const std::string header = npy_header(descr, "(2, 2)") + padding;
      const auto array = read_npy(dir.write("a.npy", npy_bytes(header, body, major)));
      REQUIRE_MESSAGE(array.ok(), array.status().message());
      CHECK(array->shape == Shape{2, 2});
      float row[2];
      array->read_floats(1, row);
      CHECK(row[0] == 3);
      CHECK(array->read_double(1, 1) == 4);
      if (!is_float(array->type)) CHECK(array->read_integer(1) == 3);
    }
  };
  for (const char major : {1, 2}) {
    first_of_row_1("|u1", raw<uint8_t>({1, 2, 3, 4}), major);
    first_of_row_1("|i1", raw<int8_t>({1, -2, 3, 4}), major);
    first_of_row_1("<i2", raw<int16_t>({1, -2, 3, 4}), major);
    first_of_row_1("<u2", raw<uint16_t>({1, 2, 3, 4}), major);
    first_of_row_1("<u4", raw<uint32_t>({1, 2, 3, 4}), major);
    first_of_row_1("<u8", raw<uint64_t>({1, 2, 3, 4}), major);
    first_of_row_1("<f2", raw<uint16_t>({0x3C00, 0x4000, 0x4200, 0x4400}), major);
    first_of_row_1("<i4", raw<int32_t>({1, 2, 3, 4}), major);
    first_of_row_1("<i8", raw<int64_t>({1, 2, 3, 4}), major);
    first_of_row_1("<f4", raw<float>({1, 2, 3, 4}), major);
    first_of_row_1("<f8", raw<double>({1, 2, 3, 4}), major);
  }
}

TEST_CASE("npy: float16 in all its forms, and bool") {
  const TempDir dir;
  const std::vector<uint16_t> bits = {0x0000, 0x8000, 0x0001, 0x03FF, 0x0400, 0x7BFF, 0xC248};
  const std::vector<float> expected = {
      0, -0.0F, 5.9604645e-8F, 6.0975552e-5F, 6.1035156e-5F, 65504, -3.140625F};  // numpy's
  const auto halves =
      read_npy(dir.write("h.npy", npy_bytes(npy_header("<f2", "(1, 7)"), raw(bits))));
  REQUIRE_MESSAGE(halves.ok(), halves.status().message());
  std::vector<float> row(7);
  halves->read_floats(0, row.data());
  CHECK(row == expected);
  CHECK(std::signbit(row[1]));
  const auto odd = read_npy(dir.write(
      "o.npy", npy_bytes(npy_header("<f2", "(3,)"), raw<uint16_t>({0x7C00, 0xFC00, 0x7C01}))));
  REQUIRE(odd.ok());
  CHECK(odd->read_double(0, 0) == std::numeric_limits<double>::infinity());
  CHECK(odd->read_double(1, 0) == -std::numeric_limits<double>::infinity());
  CHECK(std::isnan(odd->read_double(2, 0)));
  const auto flags =
      read_npy(dir.write("b.npy", npy_bytes(npy_header("|b1", "(3,)"), raw<uint8_t>({0, 1, 255}))));
  REQUIRE(flags.ok());
  CHECK(flags->read_integer(0) == 0);
  CHECK(flags->read_integer(2) == 1);
}

TEST_CASE("npy: what is not read is refused with the call that converts it") {
  const TempDir dir;
  const std::string body = raw<float>({1, 2});
  CHECK(contains(refusal(dir, "PK\x03\x04"), "numpy.save"));
  CHECK(contains(refusal(dir, ""), "not a .npy file"));
  CHECK(contains(refusal(dir, npy_bytes(npy_header("<f4", "(2,)"), body, 3)), "version 3.0"));
  CHECK(contains(refusal(dir, npy_bytes(npy_header(">f4", "(2,)"), body)), "big-endian"));
  CHECK(contains(refusal(dir, npy_bytes(npy_header(">i8", "(1,)"), body)), "x.astype('<i8')"));
  CHECK(contains(refusal(dir, npy_bytes(npy_header("<U1", "(2,)"), body)), "numpy.unique"));
  CHECK(contains(refusal(dir, npy_bytes(npy_header("<c8", "(1,)"), body)), "x.real"));
  CHECK(contains(refusal(dir, npy_bytes(npy_header("<m8", "(1,)"), body)), "x.astype('<f4')"));
  CHECK(contains(
      refusal(dir, npy_bytes("{'descr': '<f4', 'fortran_order': True, 'shape': (1, 2)}", body)),
      "ascontiguousarray"));
  CHECK(contains(refusal(dir, npy_bytes("{'descr': [('a', '<f4')], 'fortran_order': False, "
                                        "'shape': (2,)}",
                                        body)),
                 "structured"));
}

TEST_CASE("npy: headers that lie are refused") {
  const TempDir dir;
  const std::string body = raw<float>({1, 2});
  const auto shape = [&](const std::string& text) {
    return refusal(dir, npy_bytes(npy_header("<f4", text), body));
  };
  CHECK(contains(shape("(3,)"), "says 3 numbers of 4 bytes, 8 bytes follow"));
  CHECK(contains(shape("(1,)"), "8 bytes follow"));
  CHECK(contains(shape("()"), "scalar"));
  CHECK(contains(shape("(0, 2)"), "empty"));
  CHECK(contains(shape("(4611686018427387905, 4)"), "8 bytes follow"));
  CHECK(contains(shape("(99999999999999999999,)"), "not of the form"));
  CHECK(contains(shape("(-2,)"), "not of the form"));
  CHECK(contains(shape("(1, 1, 1, 1, 1, 1, 1, 1, 2)"), "not of the form"));
  CHECK(contains(shape("2"), "not of the form"));
  const std::string good = npy_header("<f4", "(2,)");
  CHECK(contains(refusal(dir, npy_bytes(good + "x", body)), "not of the form"));
  CHECK(contains(refusal(dir, npy_bytes("{'shape': (2,), 'shape': (2,), }", body)), "form"));
  CHECK(contains(refusal(dir, npy_bytes("{'descr': '<f4', }", body)), "form"));
  std::string far = npy_bytes(good, body, 2);
  far[11] = '\x7F';
  CHECK(contains(refusal(dir, far), "it is damaged"));
}

TEST_CASE("npy: a file cut or changed anywhere never does harm") {
  const TempDir dir;
  const std::string good = npy_bytes(npy_header("<f4", "(2, 3)"), raw<float>({1, 2, 3, 4, 5, 6}));
  for (size_t size = 0; size < good.size(); ++size) {
    CHECK_FALSE(read_npy(dir.write("cut.npy", good.substr(0, size))).ok());
  }
  for (size_t i = 0; i < good.size(); ++i) {
    for (const int bit : {1, 4, 32, 128}) {
      std::string flipped = good;
      flipped[i] = static_cast<char>(flipped[i] ^ bit);
      const auto array = read_npy(dir.write("flipped.npy", flipped));
      if (!array.ok()) continue;
      std::vector<float> row(static_cast<size_t>(array->row_elements()));
      for (int64_t r = 0; r < array->rows(); ++r) array->read_floats(r, row.data());
    }
  }
}

TEST_CASE("npy:X,Y: bytes are scaled, floats are not, labels count the classes") {
  const TempDir dir;
  const std::string bytes = dir.write(
      "u.npy",
      npy_bytes(npy_header("|u1", "(3, 1, 2)"), raw<uint8_t>({0, 51, 102, 153, 204, 255})));
  const std::string floats =
      dir.write("f.npy", npy_bytes(npy_header("<f8", "(3, 2)"), raw<double>({0, 1, 2, 3, 4, 5.5})));
  const std::string labels =
      dir.write("y.npy", npy_bytes(npy_header("<i8", "(3,)"), raw<int64_t>({0, 6, 2})));
  const std::string labels_test =
      dir.write("t.npy", npy_bytes(npy_header("<i8", "(3, 1)"), raw<int64_t>({6, 1, 0})));
  float sample[2];
  const auto scaled = open_dataset("npy:" + bytes + "," + labels, 0);
  REQUIRE_MESSAGE(scaled.ok(), scaled.status().message());
  CHECK((*scaled)->sample_shape() == Shape{1, 2});
  CHECK((*scaled)->classes() == 7);
  CHECK((*scaled)->count(Split::kTest) == 0);
  CHECK((*scaled)->label(Split::kTrain, 1) == 6);
  (*scaled)->read_sample(Split::kTrain, 2, sample);
  CHECK(sample[0] == 0.8F);
  CHECK(sample[1] == 1);
  const auto plain =
      open_dataset("npy:" + floats + "," + labels + "," + floats + "," + labels_test, 0);
  REQUIRE_MESSAGE(plain.ok(), plain.status().message());
  CHECK((*plain)->count(Split::kTest) == 3);
  CHECK((*plain)->label(Split::kTest, 0) == 6);
  (*plain)->read_sample(Split::kTest, 2, sample);
  CHECK(sample[1] == 5.5F);
}

TEST_CASE("npy:X,Y: float targets make a regression") {
  const TempDir dir;
  const std::string x =
      dir.write("x.npy", npy_bytes(npy_header("<f4", "(2, 1)"), raw<float>({1, 2})));
  const std::string y =
      dir.write("y.npy", npy_bytes(npy_header("<f4", "(2, 2)"), raw<float>({1, 2, 3, 4})));
  const auto dataset = open_dataset("npy:" + x + "," + y, 0, TargetKind::kValues);
  REQUIRE_MESSAGE(dataset.ok(), dataset.status().message());
  CHECK((*dataset)->classes() == 0);
  CHECK((*dataset)->target_shape() == Shape{2});
  CHECK((*dataset)->notes().empty());
  CHECK((*dataset)->target_elements() == 2);
  float target[2];
  (*dataset)->read_target(Split::kTrain, 1, target);
  CHECK(target[0] == 3);
  CHECK(target[1] == 4);
}

TEST_CASE("npy:X,Y: contents that cannot train are refused with file, index and value") {
  const TempDir dir;
  const auto array = [&](const std::string& name, const std::string& descr,
                         const std::string& shape, const std::string& body) {
    return dir.write(name, npy_bytes(npy_header(descr, shape), body));
  };
  const std::string x = array("x.npy", "<f4", "(3, 1)", raw<float>({1, 2, 3}));
  const std::string y = array("y.npy", "<i4", "(3,)", raw<int32_t>({0, 1, 1}));
  const std::string spec = "npy:" + x + ",";
  CHECK(open_message(spec + y) == "ok");
  CHECK(contains(open_message(spec + array("n.npy", "<i4", "(3,)", raw<int32_t>({0, -1, 1}))),
                 "n.npy: row 1 holds the label -1, which is outside 0.."));
  CHECK(
      contains(open_message(spec + array("b.npy", "<i8", "(3,)", raw<int64_t>({1, 1LL << 40, 0}))),
               "row 1 holds the label 1099511627776"));
  CHECK(contains(open_message(spec + array("s.npy", "<i4", "(2,)", raw<int32_t>({0, 1}))),
                 "holds 3 samples"));
  CHECK(contains(
      open_message(spec + array("h.npy", "<i4", "(3, 2)", raw<int32_t>({0, 1, 1, 1, 0, 1}))),
      "one class number a sample"));
  const std::string nan = array("nan.npy", "<f4", "(3, 1)", raw<float>({1, 2, std::nanf("")}));
  CHECK(contains(open_message("npy:" + nan + "," + y), "nan.npy: row 2 holds nan"));
  CHECK(contains(open_message(spec + nan), "nan.npy: row 2 holds nan"));
  CHECK(contains(open_message(spec + nan, TargetKind::kValues), "nan.npy: row 2 holds nan"));
  const std::string wide = array("w.npy", "<f8", "(3, 1)", raw<double>({1, 1e300, 3}));
  CHECK(contains(open_message("npy:" + wide + "," + y), "w.npy: row 1 holds 1e+300"));
  CHECK(contains(open_message("npy:" + y + "," + y), "samples are int32"));
  const std::string flat = array("flat.npy", "<f4", "(3,)", raw<float>({1, 2, 3}));
  CHECK(contains(open_message("npy:" + flat + "," + y), "reshape(-1, 1)"));
  const std::string bytes = array("u.npy", "|u1", "(3, 1)", raw<uint8_t>({1, 2, 3}));
  const std::string broad = array("p.npy", "<f8", "(3, 2)", raw<double>({1, 2, 3, 4, 5, 6}));
  const std::string doubles = array("d.npy", "<f8", "(3, 1)", raw<double>({1, 2, 3}));
  CHECK(open_message(spec + y + "," + doubles + "," + y) == "ok");
  CHECK(contains(open_message(spec + y + "," + bytes + "," + y), "u.npy: samples unlike those"));
  CHECK(contains(open_message(spec + y + "," + broad + "," + y), "p.npy: samples unlike those"));
  CHECK(contains(open_message(spec + y + "," + x + "," + broad, TargetKind::kValues),
                 "p.npy: targets unlike those of"));
  CHECK(contains(open_message("npy:" + x), "npy:X,Y"));
  CHECK(contains(open_message(spec + y + "," + x), "XTEST,YTEST"));
  CHECK(contains(open_message(spec), "npy:X,Y"));
}

}  // namespace ft
