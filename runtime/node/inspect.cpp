// `ftrun inspect MODEL.onnx`: what the importer made of a model, and what it refuses.

#include <cstdio>

#include "onnx_import/import.h"
#include "onnx_import/report.h"
#include "runtime/base/file.h"
#include "runtime/node/commands.h"

namespace ft {

Status inspect(const Options& options) {
  FT_ASSIGN_OR_RETURN(const BufferPtr file, read_file(options.model));
  ImportOptions import_options;
  import_options.batch = options.batch_size;
  std::vector<ImportProblem> problems;
  const Result<Model> model = import_model(file->bytes(), import_options, &problems);
  // A file that is no model at all has nothing to report.
  if (!model.ok() && problems.empty()) {
    return invalid_error("%s: %s", options.model.c_str(), model.status().message().c_str());
  }
  ModelReport report;
  if (model.ok()) report = make_report(*model);
  report.unsupported = problems;
  const std::string text =
      options.json ? render_json(report, options.model) : render_text(report, options.model);
  std::printf("%s\n", text.c_str());
  if (model.ok()) return Status();
  return invalid_error("%s: cannot be trained", options.model.c_str());
}

}  // namespace ft
