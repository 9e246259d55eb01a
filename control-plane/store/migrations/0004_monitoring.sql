CREATE TABLE `rollup_due` (
	`deployment` text NOT NULL,
	`manifest` text NOT NULL,
	`arm` text NOT NULL,
	`level_ms` integer NOT NULL,
	`start_ms` integer NOT NULL,
	`agent_id` text NOT NULL,
	PRIMARY KEY(`deployment`, `manifest`, `arm`, `level_ms`, `start_ms`, `agent_id`)
);
--> statement-breakpoint
CREATE INDEX `rollup_due_time` ON `rollup_due` (`level_ms`,`start_ms`);--> statement-breakpoint
CREATE TABLE `rollups` (
	`deployment` text NOT NULL,
	`manifest` text NOT NULL,
	`arm` text NOT NULL,
	`level_ms` integer NOT NULL,
	`start_ms` integer NOT NULL,
	`agent_id` text NOT NULL,
	`parts` integer NOT NULL,
	`requests` integer NOT NULL,
	`rows` integer NOT NULL,
	`errors` integer NOT NULL,
	`body` blob NOT NULL,
	`sealed` integer DEFAULT false NOT NULL,
	`updated_at` integer NOT NULL,
	PRIMARY KEY(`deployment`, `manifest`, `arm`, `level_ms`, `start_ms`, `agent_id`)
);
--> statement-breakpoint
CREATE INDEX `rollups_time` ON `rollups` (`deployment`,`level_ms`,`start_ms`);--> statement-breakpoint
CREATE INDEX `rollups_sealed` ON `rollups` (`level_ms`,`sealed`,`start_ms`);--> statement-breakpoint
CREATE TABLE `telemetry_refusals` (
	`agent_id` text NOT NULL,
	`deployment` text NOT NULL,
	`reason` text NOT NULL,
	`windows` integer NOT NULL,
	`detail` text NOT NULL,
	`last_at` integer NOT NULL,
	PRIMARY KEY(`agent_id`, `deployment`, `reason`)
);
--> statement-breakpoint
ALTER TABLE `deployments` ADD `monitoring` text DEFAULT '{}' NOT NULL;--> statement-breakpoint
-- Windows that older builds have merged are under no roll-up yet.
INSERT INTO `rollup_due` SELECT DISTINCT `deployment`, `manifest`, `arm`, 3600000, `window_start_ms` - `window_start_ms` % 3600000, `agent_id` FROM `windows`;
