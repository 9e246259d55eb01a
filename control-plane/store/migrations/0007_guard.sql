CREATE TABLE `guard_trips` (
	`id` text NOT NULL,
	`agent_id` text NOT NULL,
	`deployment` text NOT NULL,
	`trip` text NOT NULL,
	`received_at` integer NOT NULL,
	PRIMARY KEY(`agent_id`, `id`)
);
--> statement-breakpoint
CREATE INDEX `guard_trips_deployment` ON `guard_trips` (`deployment`,`received_at`);--> statement-breakpoint
CREATE INDEX `guard_trips_received` ON `guard_trips` (`received_at`);--> statement-breakpoint
ALTER TABLE `deployments` ADD `guard` text DEFAULT '{}' NOT NULL;--> statement-breakpoint
ALTER TABLE `deployments` ADD `lease` text;--> statement-breakpoint
ALTER TABLE `reports` ADD `lease` text;