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
  CHECK(run.read_journal()->term == 0);
  REQUIRE(run.append_journal(1, {{0, 1, {{0, 4}, {4, 9}}}}).ok());
  REQUIRE(run.append_journal(2, {{0, 1, {{0, 4}, {4, 9}}}, {7, 2, {{0, 9}}}}).ok());
  std::ofstream(run.file("journal.jsonl"), std::ios::app) << R"({"term": 3, "record": [{"fi)";
  const auto journal = run.read_journal();
  REQUIRE_MESSAGE(journal.ok(), journal.status().message());
  CHECK(journal->term == 2);
  REQUIRE(journal->record.size() == 2);
  CHECK(journal->record[1].first_batch == 7);
  CHECK(journal->record[1].term == 2);
  CHECK(journal->record[0].ranges[1] == ft::LayerRange{4, 9});
  // What is appended after a torn line is whole again.
  REQUIRE(run.append_journal(4, journal->record).ok());
  CHECK(run.read_journal()->term == 4);
}

TEST_CASE("run directory: a run that goes on knows what was reported") {
  const ft::TempDir directory;
  const std::string path = directory.path() + "/run";
  {
    auto made = ft::RunDirectory::create(path);
    REQUIRE(made.ok());
    REQUIRE((*made)->write_run("{}").ok());
    for (const char* line :
         {R"({"event":"batch","batch":3,"loss":0.5,"accuracy":0.25})",
          R"({"event":"evaluated","epoch":0,"batch":3,"accuracy":0.75,"loss":0.6})",
          R"({"event":"batch","batch":4,"loss":null})",
          R"({"event":"reconfigured","reason":"failure","resume_batch":2})",
          R"({"event":"batch","batch":2,"loss":9,"replayed":true})", R"({"event":"batch","ba)"}) {
      REQUIRE((*made)->append_event(line).ok());
    }
  }
  const auto again = ft::RunDirectory::resume(path);
  REQUIRE_MESSAGE(again.ok(), again.status().message());
  CHECK((*again)->has_run());
  CHECK(!ft::RunDirectory::resume(path).ok());  // it is locked
  const ft::ReportedProgress progress = (*again)->read_progress();
  CHECK(progress.batch == 4);
  CHECK(progress.finished == 2);
  CHECK(progress.evaluated == 3);
  CHECK(progress.accuracy == 0.75);
  const auto fresh = ft::RunDirectory::resume(directory.path() + "/empty");
  REQUIRE(fresh.ok());
  CHECK(!(*fresh)->has_run());
  CHECK((*fresh)->read_progress().batch == -1);
}

TEST_CASE("run directory: a line of events that a crash has torn is ended before the next") {
  const ft::TempDir directory;
  const std::string path = directory.path() + "/run";
  {
    auto made = ft::RunDirectory::create(path);
    REQUIRE(made.ok());
    REQUIRE((*made)->write_run("{}").ok());
  }
  std::ofstream(path + "/events.jsonl") << R"({"event":"ba)";
  {
    const auto again = ft::RunDirectory::resume(path);
    REQUIRE(again.ok());
    REQUIRE((*again)->append_event(R"({"event":"batch","batch":7})").ok());
    REQUIRE((*again)->append_event(R"({"event":"batch","batch":8})").ok());
    CHECK((*again)->read_progress().batch == 8);
  }
  std::ifstream events(path + "/events.jsonl");
  std::string line;
  int lines = 0;
  while (std::getline(events, line)) ++lines;
  CHECK(lines == 3);
}

TEST_CASE("run directory: a term that no run reaches is damage") {
  const ft::TempDir directory;
  auto made = ft::RunDirectory::create(directory.path() + "/run");
  REQUIRE(made.ok());
  REQUIRE((*made)->append_journal(~uint64_t{0}, {}).ok());
  CHECK(!(*made)->read_journal().ok());
}
