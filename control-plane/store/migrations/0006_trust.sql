CREATE TABLE `releases` (
	`manifest` text PRIMARY KEY NOT NULL,
	`payload` blob NOT NULL,
	`signatures` text NOT NULL,
	`updated_at` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `roots` (
	`version` integer PRIMARY KEY NOT NULL,
	`payload` blob NOT NULL,
	`signatures` text NOT NULL,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
ALTER TABLE `agents` ADD `stale` integer DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE `desired` ADD `inclusion` text;--> statement-breakpoint
ALTER TABLE `versions` ADD `awaits_release` integer DEFAULT false NOT NULL;