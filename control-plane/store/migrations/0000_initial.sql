CREATE TABLE `agents` (
	`id` text PRIMARY KEY NOT NULL,
	`name` text NOT NULL,
	`public_key` blob NOT NULL,
	`labels` text NOT NULL,
	`serving` text,
	`capabilities` text NOT NULL,
	`joined_at` integer NOT NULL,
	`last_seen_at` integer NOT NULL,
	`revoked_at` integer,
	`observed_generation` integer NOT NULL,
	`applied_generation` integer NOT NULL,
	`applied_at` integer
);
--> statement-breakpoint
CREATE UNIQUE INDEX `agents_public_key_unique` ON `agents` (`public_key`);--> statement-breakpoint
CREATE TABLE `alerts` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`deployment` text NOT NULL,
	`manifest` text NOT NULL,
	`kind` text NOT NULL,
	`detail` text NOT NULL,
	`opened_at` integer NOT NULL,
	`resolved_at` integer
);
--> statement-breakpoint
CREATE UNIQUE INDEX `alerts_one_open` ON `alerts` (`deployment`,`manifest`,`kind`) WHERE resolved_at is null;--> statement-breakpoint
CREATE TABLE `artifacts` (
	`digest` text PRIMARY KEY NOT NULL,
	`size_bytes` integer NOT NULL,
	`created_at` integer NOT NULL,
	`created_by` text NOT NULL
);
--> statement-breakpoint
CREATE TABLE `counters` (
	`name` text PRIMARY KEY NOT NULL,
	`value` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `cursors` (
	`agent_id` text NOT NULL,
	`boot` text NOT NULL,
	`sequence` integer NOT NULL,
	`updated_at` integer NOT NULL,
	PRIMARY KEY(`agent_id`, `boot`)
);
--> statement-breakpoint
CREATE TABLE `deployments` (
	`name` text PRIMARY KEY NOT NULL,
	`model` text NOT NULL,
	`version` integer NOT NULL,
	`previous_version` integer,
	`selector` text NOT NULL,
	`window_ms` integer NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `desired` (
	`agent_id` text PRIMARY KEY NOT NULL,
	`generation` integer NOT NULL,
	`content_hash` text NOT NULL,
	`payload` blob NOT NULL,
	`key_id` text NOT NULL,
	`signature` blob NOT NULL,
	`issued_at` integer NOT NULL,
	`expires_at` integer NOT NULL,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `desired_generation_unique` ON `desired` (`generation`);--> statement-breakpoint
CREATE TABLE `drift_streams` (
	`deployment` text NOT NULL,
	`manifest` text NOT NULL,
	`stream` text NOT NULL,
	`state` text NOT NULL,
	`updated_at` integer NOT NULL,
	PRIMARY KEY(`deployment`, `manifest`, `stream`)
);
--> statement-breakpoint
CREATE TABLE `events` (
	`sequence` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`at` integer NOT NULL,
	`actor` text NOT NULL,
	`action` text NOT NULL,
	`subject` text NOT NULL,
	`detail` text NOT NULL
);
--> statement-breakpoint
CREATE TABLE `join_tokens` (
	`id` text PRIMARY KEY NOT NULL,
	`secret_hash` text NOT NULL,
	`labels` text NOT NULL,
	`created_by` text NOT NULL,
	`created_at` integer NOT NULL,
	`expires_at` integer NOT NULL,
	`used_at` integer,
	`used_by` text
);
--> statement-breakpoint
CREATE TABLE `models` (
	`name` text PRIMARY KEY NOT NULL,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `refusals` (
	`agent_id` text NOT NULL,
	`deployment` text NOT NULL,
	`manifest` text NOT NULL,
	`code` text NOT NULL,
	`detail` text NOT NULL,
	`at` integer NOT NULL,
	PRIMARY KEY(`agent_id`, `deployment`, `manifest`)
);
--> statement-breakpoint
CREATE TABLE `reports` (
	`agent_id` text NOT NULL,
	`deployment` text NOT NULL,
	`arms` text NOT NULL,
	`at` integer NOT NULL,
	`received_at` integer NOT NULL,
	PRIMARY KEY(`agent_id`, `deployment`)
);
--> statement-breakpoint
CREATE INDEX `reports_deployment` ON `reports` (`deployment`);--> statement-breakpoint
CREATE TABLE `rollouts` (
	`id` text PRIMARY KEY NOT NULL,
	`deployment` text NOT NULL,
	`model` text NOT NULL,
	`from_version` integer NOT NULL,
	`to_version` integer NOT NULL,
	`plan` text NOT NULL,
	`state` text NOT NULL,
	`created_by` text NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	`finished_at` integer
);
--> statement-breakpoint
CREATE INDEX `rollouts_deployment` ON `rollouts` (`deployment`,`created_at`);--> statement-breakpoint
CREATE UNIQUE INDEX `rollouts_one_live` ON `rollouts` (`deployment`) WHERE finished_at is null;--> statement-breakpoint
CREATE TABLE `tokens` (
	`id` text PRIMARY KEY NOT NULL,
	`name` text NOT NULL,
	`role` text NOT NULL,
	`hash` text NOT NULL,
	`created_at` integer NOT NULL,
	`revoked_at` integer
);
--> statement-breakpoint
CREATE UNIQUE INDEX `tokens_hash_unique` ON `tokens` (`hash`);--> statement-breakpoint
CREATE TABLE `versions` (
	`model` text NOT NULL,
	`version` integer NOT NULL,
	`manifest` text NOT NULL,
	`document` text NOT NULL,
	`created_at` integer NOT NULL,
	`created_by` text NOT NULL,
	PRIMARY KEY(`model`, `version`)
);
--> statement-breakpoint
CREATE UNIQUE INDEX `versions_manifest` ON `versions` (`manifest`);--> statement-breakpoint
CREATE TABLE `windows` (
	`deployment` text NOT NULL,
	`manifest` text NOT NULL,
	`arm` text NOT NULL,
	`window_start_ms` integer NOT NULL,
	`window_ms` integer NOT NULL,
	`agent_id` text NOT NULL,
	`parts` integer NOT NULL,
	`requests` integer NOT NULL,
	`rows` integer NOT NULL,
	`errors` integer NOT NULL,
	`body` blob NOT NULL,
	`updated_at` integer NOT NULL,
	PRIMARY KEY(`deployment`, `manifest`, `arm`, `window_start_ms`, `agent_id`)
);
--> statement-breakpoint
CREATE INDEX `windows_time` ON `windows` (`deployment`,`window_start_ms`);