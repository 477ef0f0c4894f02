// When a service counts as done.

/** Whether a service is healthy, or rightly left alone. */
export function isDone(service) {
  return service.state === "healthy" || (service.state === "skipped" && service.action === "leave");
}
