#include "job/verbs.hpp"
#include "util/error.hpp"

namespace dbbackup::job {

RunState perform(Services& services, Run& run, const Request& request, util::Task& task) {
  using catalog::RunKind;
  if (request.passphrase_lost) {
    // Going on without it would seal an archive that the passphrase does not open, and say so to
    // nobody.
    throw util::Error(util::ErrorCode::refused,
                      "the passphrase was forgotten when the daemon restarted; it is never stored",
                      "start the run again");
  }
  switch (run.kind) {
    case RunKind::backup:
      return back_up(services, run, request, task);
    case RunKind::restore:
      return restore(services, run, request, task);
    case RunKind::drill:
      return drill(services, run, request, task);
    case RunKind::verify:
      return verify(services, run, request, task);
    case RunKind::check:
      return check(services, run, request, task);
    case RunKind::prune:
      return prune(services, run, request, task);
    case RunKind::rescan:
      return rescan(services, run, request, task);
    case RunKind::export_:
      return export_artifact(services, run, request, task);
    case RunKind::import:
      return import_artifact(services, run, request, task);
  }
  throw util::Error(util::ErrorCode::internal, "a run of unknown kind");
}

}  // namespace dbbackup::job
