// What central concludes from who holds which snapshot.

#include "runtime/pipeline/cut_book.h"

#include <doctest/doctest.h>

namespace {

constexpr int kLayers = 3;

// Batches 0 to 9 under term 1, from 10 on under term 4.
ft::CutBook book() {
  ft::CutBook made(kLayers);
  made.append(-1, 1, {});
  made.append(9, 4, {});
  return made;
}

void hold_all(ft::CutBook* made, int64_t version, uint64_t term, ft::PeerId peer) {
  for (int layer = 0; layer < kLayers; ++layer) made->hold({version, layer, term}, peer);
}

}  // namespace

TEST_CASE("cut book: a snapshot of a history that was rolled back counts for nothing") {
  ft::CutBook made = book();
  hold_all(&made, 14, 1, 7);  // term 1 went on to batch 14 before the rollback to 9
  hold_all(&made, 9, 1, 7);
  CHECK(made.is_void({14, 0, 1}));
  CHECK(made.newest_whole(100) == 9);
  hold_all(&made, 14, 4, 8);
  CHECK(made.newest_whole(100) == 14);
  CHECK(made.newest_whole(13) == 9);
}

TEST_CASE("cut book: complete means two devices for every layer, those who leave not counted") {
  ft::CutBook made = book();
  hold_all(&made, 9, 1, 7);
  made.hold({9, 0, 1}, 8);
  made.hold({9, 1, 1}, 8);
  CHECK(!made.is_doubled(9, {}));
  made.hold({9, 2, 1}, 9);
  CHECK(made.is_doubled(9, {}));
  CHECK(!made.is_doubled(9, {9}));
  made.forget(8);
  CHECK(!made.is_doubled(9, {}));
  CHECK(made.is_whole(9));
}

TEST_CASE("cut book: what is missing at a version is named by layer") {
  ft::CutBook made = book();
  made.hold({12, 1, 4}, 7);
  CHECK(made.missing(12) == std::vector<int>{0, 2});
  CHECK(made.newest_held() == 12);
  CHECK(made.newest_whole(100) == -1);
}

TEST_CASE("cut book: resuming cuts the record after the version and appends") {
  ft::CutBook made = book();
  made.append(4, 6, {});
  CHECK(made.record().entries_size() == 2);
  CHECK(made.term_of(4) == 1);
  CHECK(made.term_of(5) == 6);
  CHECK(made.newest_term() == 6);
}

TEST_CASE("cut book: of two copies that differ neither counts") {
  ft::CutBook made = book();
  CHECK(made.hold({9, 0, 1}, 7, 111));
  CHECK(made.hold({9, 0, 1}, 8, 111));
  CHECK(made.holders({9, 0, 1}).size() == 2);
  CHECK(!made.hold({9, 0, 1}, 9, 222));
  CHECK(made.holders({9, 0, 1}).empty());
  CHECK(made.hold({9, 0, 1}, 7, 111));  // too late
  CHECK(made.holders({9, 0, 1}).empty());
  CHECK(made.hold({12, 0, 4}, 7, 333));
}
