export type { WebhookPolicy } from "./destinations.ts";
export { WebhookService, type WebhookServiceOptions } from "./service.ts";
export { type DeliveryOptions, webhookDelivery } from "./workflow.ts";
