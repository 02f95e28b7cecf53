#include "ctl/format.hpp"
#include "ctl/views.hpp"
#include "util/text.hpp"

namespace dbbackup::ctl {

namespace json = util::json;
using util::cat;

namespace {

std::string when(const json::Object& event) {
  const auto at = util::parse_time(json::get_string(event, "at").value_or(""));
  return at ? format_time(*at) : text_of(event, "at");
}

Style outcome_style(const std::string& outcome) {
  return outcome == "ok" ? Style::good : Style::bad;
}

void show_list(const json::Object& reply, const Context& context) {
  Table table({{"AT"}, {"USER"}, {"ACTION"}, {"OBJECT"}, {"OUTCOME"}, {"DETAIL"}});
  for (const json::Object* event : items(reply, "events")) {
    const std::string outcome = text_of(*event, "outcome");
    table.add({when(*event), text_of(*event, "user"), text_of(*event, "action"),
               text_of(*event, "object"), Cell(outcome, outcome_style(outcome)),
               text_of(*event, "detail")});
  }
  show_table(table, "no events", context);
}

constexpr View kViews[] = {{"events.list", show_list}};

}  // namespace

std::span<const View> events_views() { return kViews; }

std::string event_line(const json::Object& event) {
  return cat(when(event), "  ", text_of(event, "user"), "  ", text_of(event, "action"), "  ",
             text_of(event, "object"), "  ", text_of(event, "outcome"));
}

}  // namespace dbbackup::ctl
