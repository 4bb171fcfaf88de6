#include "runtime/node/run_file.h"

#include <doctest/doctest.h>

#include "runtime/node/compute_thread.h"
#include "tests/base/temp_dir.h"

namespace {

// The run.json of a run begun with these options; it has no model or data.
std::string written(const ft::Options& options) {
  ft::TrainingJob job;
  ft::take_options(options, &job);
  job.training.set_batches(200);
  ft::RunId run;
  run.fill(7);
  return ft::job_to_json(job, run);
}

ft::Options begun() {
  ft::Options options;
  options.model = "m.onnx";
  options.data = "fashion-mnist";
  options.role = ft::Role::kCentral;
  options.workers = 3;
  options.partition = "even";
  return options;
}

ft::Status parse(const std::string& text, ft::TrainingJob* job) {
  const ft::TempDir dir;
  dir.write("run.json", text);
  int64_t batches = 0;
  const ft::Status status = ft::parse_run(**ft::RunDirectory::open(dir.path()), job, &batches);
  if (status.ok()) CHECK(batches == 200);
  return status;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

}  // namespace

TEST_CASE("run file: comes back as it was, with numbers as one would write them") {
  const std::string text = written(begun());
  CHECK(text.find("\"learning_rate\": 0.01,") != std::string::npos);
  ft::TrainingJob job;
  const ft::Status status = parse(text, &job);
  REQUIRE_MESSAGE(status.ok(), status.message());
  CHECK(job.training.optimizer().learning_rate() == 0.01F);
  CHECK(job.training.optimizer().momentum() == 0.9F);
  CHECK(job.workers == 3);
  CHECK(job.partition == "even");
}

TEST_CASE("run file: what a person decided about tensors belongs to the run") {
  ft::Options options = begun();
  options.roles = {{"backbone.*"}, {"head.?"}, {"a=b"}, {"c"}};
  ft::TrainingJob job;
  REQUIRE(parse(written(options), &job).ok());
  CHECK(ft::import_options(job.training).roles == options.roles);
  job.training.set_batches(200);
  ft::Options resume;
  resume.run_dir = "dir";
  REQUIRE(ft::apply_given(&resume, &job).ok());
  resume.roles = options.roles;
  resume.given = {"--freeze", "--train", "--tie", "--untie"};
  REQUIRE(ft::apply_given(&resume, &job).ok());
  resume.roles.freeze = {"stem", "backbone.*"};
  CHECK(
      ft::apply_given(&resume, &job).message() ==
      "--freeze: the run in dir has backbone.* there, not stem,backbone.*; leave it out, or begin "
      "another run");
  // A run of an older version has none.
  const std::string old = replaced(written(begun()), "\"freeze\": [],", "");
  REQUIRE(parse(old, &job).ok());
}

TEST_CASE("run file: what is wrong is named, with the file and a remedy") {
  const std::string text = written(begun());
  const struct {
    const char* from;
    const char* to;
    const char* complaint;
  } kCases[] = {
      {"\"format\": 1", "\"format\": 99", "\"format\" is not 1"},
      {"\"async\"", "\"foo\"", "\"schedule\" is foo"},
      {"0.01", "-1", "\"optimizer/learning_rate\" is -1"},
      {"\"aggregate_every\": 0", "\"aggregate_every\": -4", "\"aggregate_every\" is -4"},
      {"\"batch_size\": 64", "\"batch_size\": \"x\"", "\"batch_size\" is missing or of another"},
      {"\"tie\": []", "\"tie\": 3", "\"tie\" is missing or of another"},
      {"\"seed\"", "\"sead\"", "\"seed\" is missing"},
      {"\"partition\": \"even\"", "\"partition\": \"odd\"", "\"partition\" is odd"},
      {"\"run\"", "\"run", "no JSON"},
  };
  for (const auto& item : kCases) {
    CAPTURE(item.to);
    ft::TrainingJob job;
    const ft::Status status = parse(replaced(text, item.from, item.to), &job);
    REQUIRE(status.code() == ft::StatusCode::kInvalid);
    CAPTURE(status.message());
    for (const char* part : {item.complaint, "run.json", "put a copy of it there"}) {
      CHECK(status.message().find(part) != std::string::npos);
    }
    CHECK(status.message().find("json.exception") == std::string::npos);
  }
}

TEST_CASE("run file: a resume takes what was not given, and refuses what contradicts") {
  ft::TrainingJob job;
  REQUIRE(parse(written(begun()), &job).ok());
  job.training.set_batches(200);
  ft::Options resume;
  resume.run_dir = "dir";
  REQUIRE(ft::apply_given(&resume, &job).ok());
  CHECK(resume.workers == 3);
  CHECK(resume.stages == 4);
  CHECK(resume.partition == "even");
  resume.given = {"--workers", "--partition"};
  resume.workers = 1;
  resume.partition = "dynamic";
  REQUIRE(ft::apply_given(&resume, &job).ok());
  CHECK(resume.workers == 1);
  CHECK(resume.partition == "dynamic");
  resume.given = {"--lr"};
  resume.optimizer.learning_rate = 0.5F;
  CHECK(ft::apply_given(&resume, &job).message() ==
        "--lr: the run in dir has 0.01 there, not 0.5; leave it out, or begin another run");
  resume.given = {"--batches"};
  resume.batches = 900;
  CHECK(ft::apply_given(&resume, &job).message().starts_with("--batches: the run in dir has 200"));
}
