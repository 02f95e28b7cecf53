#include "ctl/format.hpp"
#include "ctl/views.hpp"
#include "util/text.hpp"

namespace dbbackup::ctl {

namespace json = util::json;
using util::cat;

namespace {

// "job shop-nightly": the target is text, or an object with one member that tells its kind.
std::string target_text(const json::Object& schedule) {
  const json::Object* target = json::get_object(schedule, "target");
  if (target == nullptr) return text_of(schedule, "target");
  const auto kind = json::get_string(*target, "kind");
  const auto name = json::get_string(*target, "name");
  if (kind && name) return cat(*kind, " ", *name);
  std::vector<std::string> parts;
  for (const auto& member : *target) {
    if (member.value().is_null()) continue;
    parts.push_back(cat(std::string_view(member.key()), " ", text_of(*target, member.key())));
  }
  return util::join(parts, ", ");
}

void show_list(const json::Object& reply, const Context& context) {
  Table table(
      {{"NAME"}, {"TARGET"}, {"CRON"}, {"TIMEZONE"}, {"STATE"}, {"LAST"}, {"RESULT"}, {"NEXT"}});
  const util::TimePoint now = context.clock.now();
  for (const json::Object* schedule : items(reply, "schedules")) {
    table.add({text_of(*schedule, "name"), target_text(*schedule), text_of(*schedule, "cron"),
               text_of(*schedule, "timezone"), state_cell(text_of(*schedule, "state")),
               age_of(*schedule, "last_run_at", now), state_cell(text_of(*schedule, "last_state")),
               age_of(*schedule, "next_run_at", now)});
  }
  show_table(table,
             "no schedules; add one: dbbackupctl schedule add NAME --job JOB --cron '30 2 * * *'",
             context);
}

void show_one(const json::Object& reply, const Context& context) {
  const json::Object& schedule = item(reply, "schedule");
  const util::TimePoint now = context.clock.now();
  context.out.fields({{"Name", text_of(schedule, "name")},
                      {"Target", target_text(schedule)},
                      {"Cron", text_of(schedule, "cron")},
                      {"Time zone", text_of(schedule, "timezone")},
                      {"State", state_cell(text_of(schedule, "state"))},
                      {"Jitter", text_of(schedule, "jitter")},
                      {"Catch up", text_of(schedule, "catch_up")},
                      {"Overlap", text_of(schedule, "overlap")},
                      {"Windows", list_text(schedule, "windows")},
                      {"Last run", time_of(schedule, "last_run_at", now)},
                      {"Last state", state_cell(text_of(schedule, "last_state"))},
                      {"Next run", time_of(schedule, "next_run_at", now)},
                      {"Waiting", text_of(schedule, "waiting")}});
}

void show_added(const json::Object& reply, const Context& context) {
  const json::Object& schedule = item(reply, "schedule");
  const std::string name = text_of(schedule, "name");
  context.out.line(cat("schedule ", name, " added; next run ",
                       age_of(schedule, "next_run_at", context.clock.now())));
  note_warnings(schedule, context);
  context.out.note(cat("next: dbbackupctl schedule explain ", name));
}

void show_state(const json::Object& reply, const Context& context) {
  const json::Object& schedule = item(reply, "schedule");
  context.out.line(cat("schedule ", text_of(schedule, "name"), " is ", text_of(schedule, "state")));
}

void show_resumed(const json::Object& reply, const Context& context) {
  show_state(reply, context);
  const auto left_out = json::get_int(reply, "left_out").value_or(0);
  if (left_out > 0) {
    context.out.note(cat("what passed while it was paused is not caught up (fire times: ",
                         format_count(left_out), ")"));
  }
}

void show_removed(const json::Object& reply, const Context& context) {
  context.out.line(cat("schedule ", text_of(reply, "removed"), " removed"));
}

void show_explanation(const json::Object& reply, const Context& context) {
  Table table({{"UTC"}, {"LOCAL"}, {"FROM NOW"}, {"STARTS"}, {"WHY"}});
  for (const json::Object* fire : items(reply, "fires")) {
    const auto at = util::parse_time(json::get_string(*fire, "at").value_or(""));
    table.add({at ? format_time(*at) : text_of(*fire, "at"), text_of(*fire, "local"),
               age_of(*fire, "at", context.clock.now()),
               age_of(*fire, "starts_at", context.clock.now()), text_of(*fire, "reason")});
  }
  show_table(table, "it does not fire in that time", context);
}

void show_due(const json::Object& reply, const Context& context) {
  Table table({{"SCHEDULE"}, {"DUE"}, {"ACTION"}, {"STARTS"}, {"WHY"}});
  const util::TimePoint now = context.clock.now();
  for (const json::Object* due : items(reply, "due")) {
    table.add({text_of(*due, "schedule"), age_of(*due, "at", now), text_of(*due, "action"),
               age_of(*due, "starts_at", now), text_of(*due, "reason")});
  }
  show_table(table, "nothing is due", context);
  for (const json::Object* run : items(reply, "runs")) {
    context.out.line(cat("run ", text_of(*run, "id"), " started"));
  }
}

constexpr View kViews[] = {
    {"schedule.add", show_added},
    {"schedule.list", show_list},
    {"schedule.show", show_one},
    {"schedule.pause", show_state},
    {"schedule.resume", show_resumed},
    {"schedule.remove", show_removed},
    {"schedule.explain", show_explanation},
    {"schedule.run_due", show_due},
};

}  // namespace

std::span<const View> schedule_views() { return kViews; }

}  // namespace dbbackup::ctl
