// When a service counts as done.

/** Whether a service is healthy, or rightly left alone; of a rollback that was asked for, also whether it is back. */
export function isDone(service, purpose) {
  if (purpose === "rollback" && service.state === "rolled-back") return true;
  return service.state === "healthy" || (service.state === "skipped" && service.action === "leave");
}
