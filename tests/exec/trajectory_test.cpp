// Losses of 20 steps against PyTorch's, see tests/golden/README.md.

#include <cmath>
#include <doctest/doctest.h>
#include <fstream>
#include <nlohmann/json.hpp>

#include "runtime/data/dataset.h"
#include "tests/exec/cluster.h"

namespace {

const std::string kGolden = std::string(FT_SOURCE_DIR) + "/tests/golden/";

void check_case(const nlohmann::json& golden, const std::string& model_name) {
  CAPTURE(model_name);
  const int64_t batch_size = golden.at("batch_size");
  // Paths are relative to tests/golden.
  const std::string file = model_name.substr(model_name.find('/') + 1);
  const auto model = ft::test::golden_model(file, batch_size);
  const auto data = ft::open_dataset("npy:" + kGolden + golden.at("x").get<std::string>() + "," +
                                         kGolden + golden.at("y").get<std::string>(),
                                     0);
  REQUIRE_MESSAGE(data.ok(), data.status().message());
  ft::TrainerOptions options;
  options.batch_size = batch_size;
  options.optimizer.learning_rate = golden.at("optimizer").at("lr");
  options.optimizer.momentum = golden.at("optimizer").at("momentum");
  options.optimizer.weight_decay = golden.at("optimizer").at("weight_decay");
  options.optimizer.nesterov = golden.at("optimizer").at("nesterov");
  ft::test::Cluster cluster(model, {}, options, 2);

  const int64_t per_epoch = (*data)->count(ft::Split::kTrain) / batch_size;
  const int64_t elements = (*data)->sample_shape().element_count();
  const auto& losses = golden.at("losses");
  for (size_t step = 0; step < losses.size(); ++step) {
    CAPTURE(step);
    ft::BufferPtr input = ft::make_buffer(static_cast<size_t>(batch_size * elements) * 4);
    ft::BufferPtr labels = ft::make_buffer(static_cast<size_t>(batch_size) * 8);
    for (int64_t row = 0; row < batch_size; ++row) {
      const int64_t sample = static_cast<int64_t>(step) % per_epoch * batch_size + row;
      (*data)->read_sample(ft::Split::kTrain, sample, input->floats() + row * elements);
      reinterpret_cast<int64_t*>(labels->data())[row] = (*data)->label(ft::Split::kTrain, sample);
    }
    const double loss = cluster.train(static_cast<int64_t>(step), {input}, {labels}) /
                        static_cast<double>(batch_size);
    const double expected = losses[step];
    // The tolerance is what a relative change of 1e-6 in the weights does to the loss by this step.
    const double tolerance = golden.at("tolerances")[step];
    CHECK(std::abs(loss - expected) <= tolerance * std::abs(expected));
  }
}

}  // namespace

TEST_CASE("trajectory: 20 training steps follow PyTorch's losses") {
  std::ifstream file(kGolden + "trajectories.json");
  const nlohmann::json cases = nlohmann::json::parse(file);
  REQUIRE(cases.size() >= 12);
  for (const auto& golden : cases) {
    for (const auto& model : golden.at("models")) check_case(golden, model);
  }
}
