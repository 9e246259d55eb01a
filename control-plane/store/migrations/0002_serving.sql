CREATE TABLE `tunings` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`deployment` text NOT NULL,
	`version` integer NOT NULL,
	`agent_id` text NOT NULL,
	`at` integer NOT NULL,
	`tuning` text NOT NULL
);
--> statement-breakpoint
CREATE INDEX `tunings_deployment` ON `tunings` (`deployment`,`id`);--> statement-breakpoint
ALTER TABLE `agents` ADD `protocol` integer DEFAULT 1 NOT NULL;--> statement-breakpoint
ALTER TABLE `deployments` ADD `serving` text DEFAULT '{}' NOT NULL;--> statement-breakpoint
ALTER TABLE `deployments` ADD `tuned` text DEFAULT '{}' NOT NULL;--> statement-breakpoint
ALTER TABLE `deployments` ADD `pinned` text DEFAULT '[]' NOT NULL;