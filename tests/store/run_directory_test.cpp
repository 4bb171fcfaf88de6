#include "runtime/store/run_directory.h"

#include <doctest/doctest.h>

#include <fstream>

#include "tests/base/temp_dir.h"

TEST_CASE("run directory: holds one run and one user") {
  const ft::TempDir directory;
  const std::string path = directory.path() + "/a/b";
  {
    auto first = ft::RunDirectory::create(path);
    REQUIRE_MESSAGE(first.ok(), first.status().message());
    const auto second = ft::RunDirectory::create(path);
    REQUIRE(!second.ok());
    CHECK(second.status().message().find("another ftrun") != std::string::npos);
    REQUIRE((*first)->write_run("{}").ok());
  }
  const auto again = ft::RunDirectory::create(path);
  REQUIRE(!again.ok());
  CHECK(again.status().code() == ft::StatusCode::kInvalid);
  CHECK(ft::RunDirectory::open(path).ok());
  CHECK(!ft::RunDirectory::open(directory.path()).ok());
}

TEST_CASE("run directory: the journal's last whole line counts") {
  const ft::TempDir directory;
  auto made = ft::RunDirectory::create(directory.path() + "/run");
  REQUIRE(made.ok());
  ft::RunDirectory& run = **made;
  CHECK(!run.read_record().ok());
  REQUIRE(run.append_journal(1, {{0, 1, {{0, 4}, {4, 9}}}}).ok());
  REQUIRE(run.append_journal(2, {{0, 1, {{0, 4}, {4, 9}}}, {7, 2, {{0, 9}}}}).ok());
  std::ofstream(run.file("journal.jsonl"), std::ios::app) << R"({"term": 3, "record": [{"fi)";
  const auto record = run.read_record();
  REQUIRE_MESSAGE(record.ok(), record.status().message());
  REQUIRE(record->size() == 2);
  CHECK((*record)[1].first_batch == 7);
  CHECK((*record)[1].term == 2);
  CHECK((*record)[0].ranges[1] == ft::LayerRange{4, 9});
}
