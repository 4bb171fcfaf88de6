// `npy:X,Y` and `npy:X,Y,XTEST,YTEST`: arrays saved by numpy.

#include "runtime/data/array_dataset.h"
#include "runtime/data/npy.h"
#include "runtime/data/sources.h"

namespace ft {
namespace {

std::vector<std::string> split_at_commas(const std::string& text) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == ',') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

Status read_split(const std::string& samples_path, const std::string& targets_path,
                  ArraySplit* split) {
  split->samples_path = samples_path;
  split->targets_path = targets_path;
  FT_ASSIGN_OR_RETURN(split->samples, read_npy(samples_path));
  FT_ASSIGN_OR_RETURN(split->targets, read_npy(targets_path));
  const NumberType type = split->samples.type;
  if (type != NumberType::kUint8 && !is_float(type)) {
    return invalid_error(
        "%s: its samples are %s; bytes (uint8, read as x/255) and floats are: "
        "numpy.save(file, x.astype('<f4'))",
        samples_path.c_str(), info_of(type).name);
  }
  return Status();
}

}  // namespace

Result<std::unique_ptr<Dataset>> open_npy(const std::string& paths, TargetKind targets) {
  const std::vector<std::string> files = split_at_commas(paths);
  bool complete = files.size() == 2 || files.size() == 4;
  for (const std::string& file : files) complete = complete && !file.empty();
  if (!complete) {
    return invalid_error(
        "--data npy:%s: write npy:X,Y or npy:X,Y,XTEST,YTEST; a path cannot hold a comma",
        paths.c_str());
  }
  ArraySource source;
  source.name = "npy:" + files[0];
  FT_RETURN_IF_ERROR(read_split(files[0], files[1], &source.splits[0]));
  if (files.size() == 4) FT_RETURN_IF_ERROR(read_split(files[2], files[3], &source.splits[1]));
  return make_array_dataset(std::move(source), targets);
}

}  // namespace ft
