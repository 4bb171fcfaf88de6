#include "tests/sim/report_checker.h"

#include <algorithm>

namespace ft::sim {

void TermChecker::inventory(uint64_t term, int64_t checkpoint) {
  int64_t& newest = checkpoints_.emplace(term, -1).first->second;
  newest = std::max(newest, checkpoint);
}

void TermChecker::resumed(uint64_t term, int64_t version, int64_t disk_checkpoint,
                          uint64_t central) {
  ++count_;
  uint64_t& newest = newest_[central];
  if (term <= newest) {
    violations_.add(format("training resumed in term %llu after term %llu",
                           static_cast<unsigned long long>(term),
                           static_cast<unsigned long long>(newest)));
  }
  newest = term;
  const auto known = checkpoints_.find(term);
  const int64_t told = known == checkpoints_.end() ? -1 : known->second;
  const int64_t floor = std::max(disk_checkpoint, told);
  if (version >= floor) return;
  violations_.add(format("training resumed from version %lld, below checkpoint %lld",
                         static_cast<long long>(version), static_cast<long long>(floor)));
}

void ReportChecker::told(const Report& report) {
  if (const auto* reconfigured = std::get_if<ReconfiguredReport>(&report)) {
    const bool skips = reconfigured->resume_batch > next_;
    // A central that begins again rather skips what it was not told than throws state away.
    skipped_ = skipped_ || (skips && reconfigured->reason == "restart" &&
                            !snapshots_.exists_up_to(disk_.record(), next_ - 1));
    if (skips && !has_gaps()) {
      violations_.add(format("training resumed at batch %lld, but batch %lld was never told",
                             static_cast<long long>(reconfigured->resume_batch),
                             static_cast<long long>(next_)));
    }
    next_ = reconfigured->resume_batch;
  } else if (const auto* done = std::get_if<BatchReport>(&report)) {
    batch(*done);
  } else if (const auto* evaluation = std::get_if<EvaluatedReport>(&report)) {
    evaluated(*evaluation);
  }
}

void ReportChecker::batch(const BatchReport& report) {
  const auto number = static_cast<long long>(report.batch);
  if (report.batch != next_) {
    violations_.add(
        format("batch %lld was told when %lld was next", number, static_cast<long long>(next_)));
  }
  if (report.replayed != (report.batch <= newest_)) {
    violations_.add(format("batch %lld was told with replayed = %s", number,
                           report.replayed ? "true" : "false"));
  }
  next_ = report.batch + 1;
  newest_ = std::max(newest_, report.batch);
  losses_[report.batch] = report.loss;
}

void ReportChecker::evaluated(const EvaluatedReport& report) {
  if (!evaluations_.emplace(report.version, report).second) {
    violations_.add(
        format("the cut at %lld was evaluated twice", static_cast<long long>(report.version)));
  }
}

void ReportChecker::forget() {
  next_ = 0;
  newest_ = -1;
  losses_.clear();
  evaluations_.clear();
  for (const Report& report : disk_.events) {
    if (const auto* reconfigured = std::get_if<ReconfiguredReport>(&report)) {
      next_ = reconfigured->resume_batch;
    } else if (const auto* done = std::get_if<BatchReport>(&report)) {
      next_ = done->batch + 1;
      newest_ = std::max(newest_, done->batch);
      losses_[done->batch] = done->loss;
    } else if (const auto* evaluation = std::get_if<EvaluatedReport>(&report)) {
      evaluations_.emplace(evaluation->version, *evaluation);
    }
  }
}

void ReportChecker::finished(const Outcome& outcome) {
  for (int64_t batch = 0; batch < spec_.batches; ++batch) {
    const auto told = losses_.find(batch);
    const auto number = static_cast<long long>(batch);
    if (told == losses_.end()) {
      if (!has_gaps()) violations_.add(format("batch %lld was never told", number));
    } else if (told->second != outcome.losses.at(static_cast<size_t>(batch)) && !has_gaps()) {
      violations_.add(format("the loss of batch %lld is not the oracle's", number));
    }
  }
  for (const auto& [version, expected] : outcome.evaluations) {
    const auto told = evaluations_.find(version);
    const auto number = static_cast<long long>(version);
    if (told == evaluations_.end()) {
      if (!has_gaps()) violations_.add(format("the cut at %lld was never evaluated", number));
      continue;
    }
    // What `async` evaluated may have been rolled back afterwards.
    const EvaluatedReport& report = told->second;
    if (spec_.sync && (report.loss != expected.loss || report.accuracy != expected.accuracy)) {
      violations_.add(format("the evaluation of the cut at %lld is not the oracle's", number));
    }
  }
  for (const auto& [version, report] : evaluations_) {
    if (report.rows == spec_.evaluation_rows() && outcome.evaluations.count(version) != 0) continue;
    violations_.add(format("a cut at %lld was evaluated that is none, or over wrong rows",
                           static_cast<long long>(version)));
  }
}

}  // namespace ft::sim
