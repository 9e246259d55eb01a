ALTER TABLE `agents` ADD `draining` integer DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE `agents` ADD `jurisdiction` text;--> statement-breakpoint
ALTER TABLE `deployments` ADD `residency` text DEFAULT '{"jurisdictions":[],"telemetry":"within","outcomes":"anywhere","decisions":"within"}' NOT NULL;--> statement-breakpoint
ALTER TABLE `join_tokens` ADD `jurisdiction` text;