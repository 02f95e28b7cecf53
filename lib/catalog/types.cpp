#include "catalog/types.hpp"

#include <array>

namespace dbbackup::catalog {

namespace {
template <typename Enum>
struct Named {
  Enum value;
  std::string_view name;
};

constexpr std::array kScheduleKinds{
    Named{ScheduleKind::job, "job"},
    Named{ScheduleKind::drill, "drill"},
    Named{ScheduleKind::check, "check"},
    Named{ScheduleKind::prune, "prune"},
};

constexpr std::array kRunKinds{
    Named{RunKind::backup, "backup"}, Named{RunKind::restore, "restore"},
    Named{RunKind::drill, "drill"},   Named{RunKind::verify, "verify"},
    Named{RunKind::check, "check"},   Named{RunKind::prune, "prune"},
    Named{RunKind::rescan, "rescan"}, Named{RunKind::export_, "export"},
    Named{RunKind::import, "import"},
};

constexpr std::array kRunStates{
    Named{RunState::queued, "queued"},           Named{RunState::running, "running"},
    Named{RunState::succeeded, "succeeded"},     Named{RunState::partial, "partial"},
    Named{RunState::failed, "failed"},           Named{RunState::cancelled, "cancelled"},
    Named{RunState::interrupted, "interrupted"}, Named{RunState::skipped, "skipped"},
};

constexpr std::array kArtifactStates{
    Named{ArtifactState::sealed, "sealed"},
    Named{ArtifactState::checked, "checked"},
    Named{ArtifactState::proved, "proved"},
    Named{ArtifactState::damaged, "damaged"},
};

template <typename Enum, std::size_t N>
std::string_view name_in(const std::array<Named<Enum>, N>& table, Enum value) {
  for (const Named<Enum>& entry : table) {
    if (entry.value == value) return entry.name;
  }
  return {};
}

template <typename Enum, std::size_t N>
std::optional<Enum> value_in(const std::array<Named<Enum>, N>& table, std::string_view name) {
  for (const Named<Enum>& entry : table) {
    if (entry.name == name) return entry.value;
  }
  return std::nullopt;
}
}  // namespace

std::string_view schedule_kind_name(ScheduleKind kind) { return name_in(kScheduleKinds, kind); }
std::optional<ScheduleKind> schedule_kind_from_name(std::string_view name) {
  return value_in(kScheduleKinds, name);
}

std::string_view run_kind_name(RunKind kind) { return name_in(kRunKinds, kind); }
std::optional<RunKind> run_kind_from_name(std::string_view name) {
  return value_in(kRunKinds, name);
}

std::string_view run_state_name(RunState state) { return name_in(kRunStates, state); }
std::optional<RunState> run_state_from_name(std::string_view name) {
  return value_in(kRunStates, name);
}

bool is_ended(RunState state) { return state != RunState::queued && state != RunState::running; }

std::string_view artifact_state_name(ArtifactState state) {
  return name_in(kArtifactStates, state);
}
std::optional<ArtifactState> artifact_state_from_name(std::string_view name) {
  return value_in(kArtifactStates, name);
}

}  // namespace dbbackup::catalog
