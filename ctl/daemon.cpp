#include "ctl/format.hpp"
#include "ctl/views.hpp"

namespace dbbackup::ctl {

namespace json = util::json;

namespace {

void show_version(const json::Object& reply, const Context& context) {
  context.out.line("dbbackupd " + text_of(item(reply, "daemon"), "version"));
}

void show_reloaded(const json::Object&, const Context& context) {
  context.out.line("configuration read again");
}

constexpr View kViews[] = {{"daemon.version", show_version}, {"daemon.reload", show_reloaded}};

}  // namespace

std::span<const View> daemon_views() { return kViews; }

}  // namespace dbbackup::ctl
