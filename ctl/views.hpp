// How replies look to people: one file per noun, one function per kind of reply. Nothing here talks
// to the daemon.
//
// A view gets the reply's object as the daemon sent it and must bear fields that are missing: a
// newer or an older daemon may answer differently.
//
// Threads: pure functions, but for what they write.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "ctl/context.hpp"
#include "util/json.hpp"

namespace dbbackup::ctl {

struct View {
  std::string_view method;
  void (*show)(const util::json::Object& reply, const Context& context);
};

std::span<const View> database_views();
std::span<const View> repository_views();
std::span<const View> job_views();
std::span<const View> schedule_views();
std::span<const View> run_views();
std::span<const View> artifact_views();
std::span<const View> restore_views();
std::span<const View> status_views();
std::span<const View> events_views();
std::span<const View> daemon_views();

// The view of a command; null when there is none.
const View* find_view(std::string_view method);

// The result of a run that was waited for: a line or the JSON object, its warnings and its error.
void show_ended_run(const util::json::Object& run, const Context& context);
// One line of the audit trail, as `events --follow` prints them.
std::string event_line(const util::json::Object& event);

// What the views share.

// The objects in the list `key` of a reply.
std::vector<const util::json::Object*> items(const util::json::Object& reply, std::string_view key);
// The object `key` of a reply; an empty one when it is missing.
const util::json::Object& item(const util::json::Object& reply, std::string_view key);
// "a=1, b=2", "-" when empty.
std::string pairs_text(const util::json::Object& object, std::string_view key);
// "a, b", "-" when empty.
std::string list_text(const util::json::Object& object, std::string_view key);
// The object's `warnings`, one line each, on stderr.
void note_warnings(const util::json::Object& object, const Context& context);
// The table, or `nothing` on stderr when it has no rows.
void show_table(const Table& table, std::string_view nothing, const Context& context);

}  // namespace dbbackup::ctl
